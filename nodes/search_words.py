"""Words by which people who write another language look for a node: a newer front end searches them beside its name,
whatever language it shows."""

SEARCH_WORDS = {
    "UnrenderInterrogate": [
        *("反推", "提示词反推", "反推提示词", "图生文", "图像转文本", "图片转文字", "图片描述", "打标", "看图写词"),
        *("反推提示詞", "圖生文", "影像轉文字", "圖片描述", "標註"),
        *("プロンプト逆算", "画像からプロンプト", "画像からテキスト", "画像説明", "タグ付け", "キャプション"),
        *("프롬프트 추출", "이미지에서 프롬프트", "이미지 설명", "태그 추출", "태거", "캡션"),
        *("Bild zu Text", "Bild beschreiben", "Bildbeschreibung", "Prompt aus Bild", "Verschlagworten"),
        *("image vers texte", "décrire une image", "légende", "prompt depuis une image", "étiqueter"),
        *("imagen a texto", "describir imagen", "descripción de imagen", "prompt de imagen", "etiquetar"),
        *("изображение в текст", "описать изображение", "промпт по картинке", "теги", "подпись"),
    ],
    "UnrenderTagPicture": [
        *("打标", "反推标签", "标签反推", "打标签", "自动打标", "WD14反推", "角色识别", "图片分级"),
        *("打標籤", "標籤反推", "自動打標", "圖片標籤", "角色辨識", "圖片分級"),
        *("タグ付け", "自動タグ付け", "タガー", "タグ抽出", "画像からタグ", "キャラクター判定", "レーティング判定"),
        *("태거", "태그 추출", "자동 태그", "이미지 태그", "태깅", "캐릭터 인식", "등급 판정"),
        *("taggen", "Bild taggen", "Verschlagworten", "Schlagwörter", "Booru-Tags", "Altersfreigabe"),
        *("taguer", "étiqueter", "étiquettes", "tags de l'image", "reconnaître un personnage"),
        *("etiquetar imagen", "etiquetas", "tags de imagen", "etiquetador", "reconocer personaje"),
        *("теги", "теггер", "проставить теги", "теги по картинке", "распознать персонажа"),
    ],
    "UnrenderDescribePicture": [
        *("图片描述", "描述图片", "自然语言描述", "自然语言反推", "看图说话", "视觉语言模型", "多模态", "图生文"),
        *("圖片描述", "自然語言描述", "自然語言反推", "看圖說話", "視覺語言模型", "多模態"),
        *("画像説明", "画像を説明", "説明文", "自然文キャプション", "視覚言語モデル", "マルチモーダル"),
        *("이미지 설명", "자연어 캡션", "비전 언어 모델", "멀티모달", "캡션 생성"),
        *("Bildbeschreibung", "Bild beschreiben", "Bildunterschrift", "Bild zu Text", "multimodal"),
        *("description d'image", "décrire une image", "légende", "image vers texte", "modèle de vision"),
        *("describir imagen", "descripción de imagen", "imagen a texto", "modelo de visión"),
        *("описать изображение", "описание картинки", "подпись", "изображение в текст", "мультимодальная модель"),
    ],
    "UnrenderDescriberServer": [
        *("本地大模型", "大模型接口", "服务器接口", "多模态接口", "API反推"),
        *("本地模型", "大型語言模型", "伺服器介面", "API反推"),
        *("ローカルLLM", "サーバー", "視覚言語モデル", "API接続"),
        *("로컬 LLM", "서버", "비전 언어 모델", "API 연결"),
        *("lokales Sprachmodell", "Sprachmodell vom Server", "modèle local", "serveur LLM"),
        *("modelo local", "servidor LLM", "локальная модель", "сервер LLM"),
    ],
    "UnrenderImageToPromptEmbedding": [
        *("图片转条件", "图生图变体", "图片提示", "圖片轉條件", "圖片提示"),
        *("画像プロンプト", "画像バリエーション", "이미지 프롬프트", "이미지 변형"),
        *("Bildvariation", "Bild als Prompt", "variation d'image", "image comme prompt"),
        *("variación de imagen", "imagen como prompt", "вариация изображения", "картинка вместо промпта"),
        *("软提示", "軟提示", "ソフトプロンプト", "소프트 프롬프트", "мягкий промпт", "Soft-Prompt"),
    ],
    "UnrenderTuneOnPictures": [
        *("训练LoRA", "主体定制", "微调", "訓練LoRA", "主體訂製", "LoRA学習", "被写体", "LoRA 학습", "피사체"),
        *("LoRA trainieren", "Motiv lernen", "entraîner un LoRA", "sujet", "entrenar LoRA", "sujeto"),
        *("обучить LoRA", "предмет"),
    ],
    "UnrenderCaptionFolder": [
        *("批量打标", "训练集打标", "数据集打标", "批量反推", "批次標註", "訓練集標註"),
        *("一括タグ付け", "データセット", "学習用キャプション", "일괄 캡션", "데이터셋 태그", "학습 캡션"),
        *("Trainingsdaten beschriften", "Captions", "légender un jeu de données", "etiquetar conjunto de datos"),
        *("подписи для обучения", "разметка датасета"),
    ],
    "UnrenderAnalyze": [
        *("图片风格", "风格分析", "識別風格", "圖片風格", "画風", "スタイル分析", "스타일 분석", "화풍"),
        *("Stil erkennen", "style de l'image", "estilo de imagen", "стиль изображения"),
    ],
    "UnrenderLocate": [
        *("热力图", "文字生成遮罩", "熱圖", "文字產生遮罩"),
        *("ヒートマップ", "テキストからマスク", "히트맵", "텍스트 마스크"),
        *("Maske aus Text", "masque par texte", "máscara por texto", "маска по тексту"),
    ],
    "UnrenderMatchPhrases": [
        *("图文匹配", "零样本分类", "圖文匹配", "零樣本分類"),
        *("ゼロショット分類", "画像とテキストの類似度", "제로샷 분류"),
        *("Bild-Text-Ähnlichkeit", "similarité image texte", "similitud imagen texto", "сходство текста и картинки"),
    ],
    "UnrenderSeveralPrompts": [
        *("多个提示词", "候选提示词", "多個提示詞", "候選提示詞", "複数プロンプト", "프롬프트 후보"),
        *("mehrere Prompts", "plusieurs prompts", "varios prompts", "несколько промптов"),
    ],
    "UnrenderNearestRendering": [
        *("最佳提示词", "图片相似度", "最佳提示詞", "圖片相似度", "最良のプロンプト", "画像の類似度", "이미지 유사도"),
        *("bester Prompt", "meilleur prompt", "mejor prompt", "лучший промпт", "сходство изображений"),
    ],
    "UnrenderReadImagePrompt": [
        *("读取元数据", "图片信息", "PNG信息", "讀取中繼資料", "圖片資訊"),
        *("メタデータ", "PNG情報", "메타데이터", "이미지 정보"),
        *("Metadaten", "métadonnées", "metadatos", "метаданные"),
    ],
}
