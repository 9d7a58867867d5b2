import gradio as gr


def create_refresh_button(refresh_component, refresh_method, refreshed_args, elem_id):
    def refresh():
        refresh_method()
        return gr.update(**refreshed_args())

    button = gr.Button("refresh", elem_id=elem_id)
    button.click(refresh, outputs=[refresh_component])
    return button
